show(accuracy_against_time(RESULTS))
