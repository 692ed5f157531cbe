subsets = subsets_table(RESULTS)
if subsets.sections:
    show_table(subsets)
show(breakdowns(RESULTS), dpi=65)
