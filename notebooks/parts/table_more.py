show_table(localisation_table(RESULTS))
show_table(semantic_table(RESULTS))
