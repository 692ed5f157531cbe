# Acc@0.5 of all phrases of the test split, and our decoder on sets: docs/claims.json, copied by the builder.
# @claims@
