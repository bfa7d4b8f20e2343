"""The archives that training needs: where they are, what they hold, their sizes, checksums and terms. Data only."""
from typing import NamedTuple

WIDER_TERMS = ("""WIDER FACE. S. Yang, P. Luo, C. C. Loy, X. Tang, "WIDER FACE: A Face Detection Benchmark", CVPR 2016.
Terms, as its authors' copy at huggingface.co/datasets/CUHK-CSE/wider_face states them: CC BY-NC-ND 4.0, that is with
attribution, not for commercial use, not passed on in changed form. The images belong to those who took them.""")
LANDMARK_TERMS = ("""Landmark set. Y. Sun, X. Wang, X. Tang, "Deep Convolutional Network Cascade for Facial Point
Detection", CVPR 2013: 5,590 images of LFW and 7,876 from the web, mmlab.ie.cuhk.edu.hk/archive/CNN_FacePoint.htm
No licence is known to us; take it as for non-commercial research. The images belong to those who took them.""")


class Archive(NamedTuple):
    """One file to load. size, sha256: None where no public source tells them. holds: folder or file in it -> how many
    images are known to be there, None where that is no number of images."""
    name: str
    terms: str
    homes: tuple
    page: str
    size: int | None
    sha256: str | None
    holds: dict


HUB = "https://huggingface.co/datasets/CUHK-CSE/wider_face/resolve/main/data/"
DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="

# Sources. Sizes, SHA-256 and the split's Drive id: tensorflow/datasets, url_checksums/wider_face.txt. Drive ids of the
# images and the split's address: pytorch/vision, torchvision/datasets/widerface.py. HUB: the authors' copy at
# Hugging Face, the same files. The landmark set's address: its page; no size and no checksum is published. Numbers of
# images: the data sets' pages.
ARCHIVES = {
    "wider_train": Archive(
        "WIDER_train.zip", WIDER_TERMS, (HUB + "WIDER_train.zip", DRIVE + "15hGDLhsx8bLgLcIRD5DhYt5iBxnjNF1M"),
        "http://shuoyang1213.me/WIDERFACE/", 1_465_602_149,
        "e23b76129c825cafae8be944f65310b2e1ba1c76885afe732f179c41e5ed6d59", {"WIDER_train": 12_880}),
    "wider_val": Archive(
        "WIDER_val.zip", WIDER_TERMS, (HUB + "WIDER_val.zip", DRIVE + "1GUCogbp16PMGa39thoMMeWxp7Rp5oM8Q"),
        "http://shuoyang1213.me/WIDERFACE/", 362_752_168,
        "f9efbd09f28c5d2d884be8c0eaef3967158c866a593fc36ab0413e4b2a58a17a", {"WIDER_val": 3_226}),
    "wider_split": Archive(
        "wider_face_split.zip", WIDER_TERMS,
        ("http://shuoyang1213.me/WIDERFACE/support/bbx_annotation/wider_face_split.zip", HUB + "wider_face_split.zip",
         DRIVE + "1sAl2oml7hK6aZRdgRjqQJsjV5CEr7nl4"),
        "http://shuoyang1213.me/WIDERFACE/", 3_591_642,
        "c7561e4f5e7a118c249e0a5c5c902b0de90bbf120d7da9fa28d99041f68a8a5c", {"wider_face_split": None}),
    "landmarks": Archive(
        "train.zip", LANDMARK_TERMS, ("http://mmlab.ie.cuhk.edu.hk/archive/CNN/data/train.zip",),
        "http://mmlab.ie.cuhk.edu.hk/archive/CNN_FacePoint.htm", None, None,
        {"lfw_5590": 5_590, "net_7876": 7_876, "trainImageList.txt": None, "testImageList.txt": None}),
}
