import json

import numpy as np

import grounding
from grounding.webapp.choices import Choice
from grounding.webapp.records import record

PHRASES = ["the red square", "der rote Würfel"]


def test_a_record_holds_what_ground_returns(answerer, photo_file):
    photo = answerer.receive(photo_file)
    choice = Choice("ours", most_boxes=1000)
    written = json.loads(record(photo, answerer.found(photo, PHRASES, choice), answerer.methods["ours"], choice))
    assert written["image"] == {"name": "street.png", "width": 150, "height": 110}
    assert written["method"] == "ours" and "sha256" in written["weights"]
    assert written["extraction"] == {"method": "quality"}
    assert [one["phrase"] for one in written["answers"]] == PHRASES
    for one, expected in zip(written["answers"], grounding.load("refshapes").ground(photo_file, PHRASES), strict=True):
        np.testing.assert_array_equal(np.float32(one["boxes_xyxy"]), expected.boxes_xyxy)
        np.testing.assert_allclose(one["scores"], expected.scores, atol=1e-5)
        assert one["no_proposal"] is False


def test_a_record_says_how_boxes_were_made(answerer, photo_file):
    photo = answerer.receive(photo_file)
    for choice, made in (
        (Choice("ours", "rectangle", offset=0.4), {"method": "rectangle", "offset": 0.4}),
        (Choice("zero-shot", "components", relative=0.3), {"method": "components", "relative": 0.3, "absolute": 0.0}),
        (Choice("yolo-clip", lowest_score=0.2, most_boxes=3), None),
    ):
        found = answerer.found(photo, PHRASES[:1], choice)
        written = json.loads(record(photo, found, answerer.methods[choice.method], choice))
        assert written["extraction"] == made
        assert (written["lowest_score"], written["most_boxes"]) == (choice.lowest_score, choice.most_boxes)
        assert len(written["answers"][0]["boxes_xyxy"]) == len(found[0].scores)
