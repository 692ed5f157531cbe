from IPython.display import HTML, Image, Markdown, display

display(Markdown(f"**Authors:** {', '.join(STUDENT_IDS)}. Hand in as `[{']_['.join(STUDENT_IDS)}].ipynb`."))
