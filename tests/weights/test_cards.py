"""The cards: whole, consistent with the registry, with torchvision where it is installed."""

import re

import pytest

from jaxcnn import models, weights
from jaxcnn.weights import CARDS


def test_cards_are_complete():
    assert len(CARDS) == len(set(CARDS))
    for name, card in CARDS.items():
        assert card.name == name
        assert name.startswith(f"{card.model}.")
        assert re.fullmatch(r"[0-9a-f]{8,64}", card.sha256), name
        assert card.interpolation in ("bilinear", "bicubic")
        assert (card.channels, card.range) in (("RGB", 1.0), ("RGB", 255.0), ("BGR", 255.0))
        assert min(card.image_size) > 0
        assert card.resize >= min(card.image_size)
        assert card.licence
        assert card.origin
        assert card.url is None or card.sha256 in card.url


def test_published_accuracies_are_percentages():
    for card in CARDS.values():
        top1, top5 = card.published
        assert any(card.published)
        assert top1 is None or (30 if card.model == "tflite_mobilenet_v1_025" else 50) < top1 < 95
        assert top5 is None or 75 < top5 < 99
        assert None in (top1, top5) or top1 < top5


def test_card_offers_the_nearest_names():
    with pytest.raises(ValueError, match=r"card: there are no weights 'resnet50'; nearest: .*resnet50\.torchvision_V"):
        weights.card("resnet50")


def test_cards_of_a_model():
    assert [card.resize for card in weights.cards_of("resnet50")] == [256, 232]
    assert weights.cards_of("lenet5") == []
    assert {card.model for card in CARDS.values()} >= {"cifar_resnet20"} <= set(models.REGISTRY)
