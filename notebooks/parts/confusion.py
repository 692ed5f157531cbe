show(confusion(RESULTS))
