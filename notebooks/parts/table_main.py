show_table(main_table(RESULTS), with_caption=True)
