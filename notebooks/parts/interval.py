def interval(values, image_ids, draws=2000):
    """The 95 % bootstrap interval of a mean over phrases: whole images are drawn, with replacement."""
    _, owner = np.unique(image_ids, return_inverse=True)
    sums, counts = np.bincount(owner, weights=values), np.bincount(owner)
    drawn = np.random.default_rng(0).integers(len(sums), size=(draws, len(sums)))
    return np.percentile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), [2.5, 97.5])


def with_interval(values, image_ids, form=".3f"):
    """A mean with its 95 % interval, as text."""
    low, high = interval(values, image_ids)
    return f"{np.mean(values):{form}} [{low:{form}}, {high:{form}}]"
