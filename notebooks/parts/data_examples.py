figure = Figure(figsize=(11, 3.2), layout="constrained")
for index, axis in enumerate(figure.subplots(1, 4)):
    example = splits["test"][index]
    expression = example.expressions[0]
    show_image(axis, example.image)
    draw_boxes(axis, [expression.box_xyxy], colour=ANNOTATED_COLOUR)
    axis.set_title(f'"{expression.phrase}"', fontsize=9, wrap=True, parse_math=False)
show(figure, dpi=100, kind="jpeg")
