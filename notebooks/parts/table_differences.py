show_table(difference_table(RESULTS))
