"""Subsets of the 1,000 classes that many people use, as facts: their WNIDs, and who published them.

A preset is a choice of classes and nothing else. Imagenette and Imagewoof were also split again by their authors, and
scaled; here every image stays in the split that it has in ILSVRC2012.

Imagenette and Imagewoof: the class names in the README of fastai/imagenette; the WNIDs are those of TensorFlow Datasets
(``imagenette_labels.txt``, ``imagewang_labels.txt``) and of frgfm/imagewoof on Hugging Face. Several lists are called
ImageNet-100. This one is the list of Contrastive Multiview Coding (Tian, Krishnan, Isola), ``imagenet100.txt`` of
HobbitLong/CMC, repeated in the same order by codes that cite it; that of another paper is given as a file.
"""

from __future__ import annotations

from typing import NamedTuple


class Preset(NamedTuple):
    """One published subset: its WNIDs in ascending order, and where they are published."""

    wnids: tuple[str, ...]
    source: str


def _preset(source: str, wnids: str) -> Preset:
    return Preset(tuple(wnids.split()), source)


PRESETS = {
    "imagenette": _preset(
        "https://github.com/fastai/imagenette",
        """
        n01440764 n02102040 n02979186 n03000684 n03028079 n03394916 n03417042 n03425413 n03445777 n03888257
        """,
    ),
    "imagewoof": _preset(
        "https://github.com/fastai/imagenette#imagewoof",
        """
        n02086240 n02087394 n02088364 n02089973 n02093754 n02096294 n02099601 n02105641 n02111889 n02115641
        """,
    ),
    "imagenet100": _preset(
        "https://github.com/HobbitLong/CMC/blob/master/imagenet100.txt",
        """
        n01558993 n01692333 n01729322 n01735189 n01749939 n01773797 n01820546 n01855672 n01978455 n01980166
        n01983481 n02009229 n02018207 n02085620 n02086240 n02086910 n02087046 n02089867 n02089973 n02090622
        n02091831 n02093428 n02099849 n02100583 n02104029 n02105505 n02106550 n02107142 n02108089 n02109047
        n02113799 n02113978 n02114855 n02116738 n02119022 n02123045 n02138441 n02172182 n02231487 n02259212
        n02326432 n02396427 n02483362 n02488291 n02701002 n02788148 n02804414 n02859443 n02869837 n02877765
        n02974003 n03017168 n03032252 n03062245 n03085013 n03259280 n03379051 n03424325 n03492542 n03494278
        n03530642 n03584829 n03594734 n03637318 n03642806 n03764736 n03775546 n03777754 n03785016 n03787032
        n03794056 n03837869 n03891251 n03903868 n03930630 n03947888 n04026417 n04067472 n04099969 n04111531
        n04127249 n04136333 n04229816 n04238763 n04336792 n04418357 n04429376 n04435653 n04485082 n04493381
        n04517823 n04589890 n04592741 n07714571 n07715103 n07753275 n07831146 n07836838 n13037406 n13040303
        """,
    ),
}
