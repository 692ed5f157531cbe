from IPython.display import Image, Markdown, display

display(Markdown(f"**Authors:** {', '.join(STUDENT_IDS)}. Hand in as `[{']_['.join(STUDENT_IDS)}].ipynb`."))
