"""Images as vectors of pretrained nets, and as a table of their plain properties."""

from skembed.image._image_descriptors import ImageDescriptors
from skembed.image._image_embedder import ImageEmbedder

__all__ = ["ImageDescriptors", "ImageEmbedder"]
