NAME = "refshapes" if OFFLINE else "refcocog"
DATA = Path("data") / NAME
if OFFLINE:
    write_refshapes(DATA, {"train": 24, "val": 8, "test": 16} if FAST else IMAGES)
else:
    if DRIVE and (Path("/content/drive/MyDrive/grounding/data") / NAME).is_dir():
        bring(Path("/content/drive/MyDrive/grounding/data") / NAME, DATA)
    download(PUBLISHED[NAME], DATA)

splits = {split: RefCOCOg(DATA, split, group_by="image") for split in ("train", "val", "test")}
rows = []
for split, dataset in splits.items():
    words = [len(each.phrase.split()) for each in dataset.expressions]
    tags = [tag for each in dataset.expressions for tag in each.tags]
    rows.append([split, f"{len(dataset):,}", f"{sum(map(len, dataset.regions.values())):,}",
                 f"{len(dataset.expressions):,}", f"{np.mean(words):.1f}",
                 ", ".join(f"{tag} {tags.count(tag):,}" for tag in sorted(set(tags))) or "-"])  # fmt: skip
table(rows, ["split", "images", "objects", "expressions", "words", "subsets"])
