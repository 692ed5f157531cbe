show(accuracy_over_iou(RESULTS))
show(iou_histogram(RESULTS))
