def table(rows, headings, caption=""):
    """Rows of text under headings, the first column on the left, the others on the right."""
    text = tabulate(
        rows, headings, "github", disable_numparse=True, colalign=["left"] + ["right"] * (len(headings) - 1)
    )
    display(Markdown(f"{text}\n\n{caption}"))


def show_table(made, *, with_caption=False):
    """One of the report's tables, its title in bold rather than as a heading."""
    title, caption, text = render(made, "markdown").split("\n\n", 2)
    above = [f"**{title.removeprefix('## ')}**", *([caption] if with_caption else [])]
    display(Markdown("\n\n".join([*above, text])))


def signed(difference):
    low, high = difference.interval
    return f"{difference.difference:+.3f} [{low:+.3f}, {high:+.3f}]"


def verdict(low, high):
    return "better" if low > 0 else "worse" if high < 0 else "not separable"
