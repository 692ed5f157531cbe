# Acc@0.5, its interval, mIoU, pointing and R@5 on all phrases of the test split, copied by the builder.
# @claims@
