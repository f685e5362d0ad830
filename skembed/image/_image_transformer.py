"""The base of transformers of images: containers, threads that decode, and images that cannot be read."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from skembed.base import EmbeddingTransformer
from skembed.data.images import UnreadableImage, describe_image, pillow, read_images
from skembed.memory import check_memory
from skembed.parallel import count_workers
from skembed.training.run import Run
from skembed.warning import warn

__all__ = ["ImageTransformer"]

ON_ERROR = {"nan": np.nan, "zero": 0.0}
_NAMED = 5  # images that a warning names


class _Failed(NamedTuple):
    """Why an image has no row of its own."""

    reason: str


def _attempt(function: Callable[[Any], Any], value: Any) -> Any:
    """What a function makes of a value, or why it cannot be made of this image."""
    try:
        return function(value)
    except UnreadableImage as error:
        return _Failed(str(error))


class ImageTransformer(EmbeddingTransformer):
    """Base of the transformers of images.

    A subclass has the parameters declared here; it decodes images to something by a function of one image, which runs
    in threads, and turns that into rows.
    """

    _parameter_constraints: dict = {
        "on_error": [StrOptions({"raise", *ON_ERROR})],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    on_error: str
    batch_size: int
    n_jobs: int | None
    verbose: int

    def _read(self, X: Any, *, reset: bool) -> list[Any]:
        """Return the images of X, and let scikit-learn check, or with `reset` keep, the name of its column."""
        pillow()  # its absence is told before anything else
        if len(getattr(X, "shape", ())) == 2 and hasattr(X, "columns") and X.shape[0]:
            images = read_images(X)
            if reset or hasattr(self, "n_features_in_"):
                self._read_columns(X, reset=reset)
            return images
        if reset:
            for name in ("n_features_in_", "feature_names_in_"):
                self.__dict__.pop(name, None)
        return read_images(X)

    def _rows(
        self,
        images: list[Any],
        decode: Callable[[Any], Any],
        embed: Callable[[Any], np.ndarray],
        width: int,
        n_threads: int = 1,
    ) -> np.ndarray:
        """Return a row for each image, whose decoding goes on in threads while rows are made.

        Parameters
        ----------
        images : list
        decode : callable
            Of one image, in threads; may raise UnreadableImage.
        embed : callable
            What was decoded -> row (width,); in this thread. May raise UnreadableImage.
        width : int
        n_threads : int, default=1
            That decode at least, whatever `n_jobs` says.

        Returns
        -------
        ndarray of shape (n_images, width), float32
        """
        self._validate_params()
        check_memory(4 * len(images) * width, f"rows of {len(images)} images", "transform fewer of them at a time")
        out = np.empty((len(images), width), dtype=np.float32)
        failed: dict[int, str] = {}
        run = Run(0, self.n_jobs, self.verbose, label="images")
        with run.bar(len(images), unit="image") as bar:
            for row, decoded in enumerate(self._decoded(images, decode, n_threads)):
                made = decoded if isinstance(decoded, _Failed) else _attempt(embed, decoded)
                if isinstance(made, _Failed):
                    failed[row] = made.reason
                    self._refuse_or_fill(out, row, images[row], made.reason)
                else:
                    out[row] = made
                bar.update()
        if failed:
            _warn_of(failed, images, self.on_error)
        return out

    def _decoded(self, images: list[Any], decode: Callable[[Any], Any], n_threads: int) -> Iterator[Any]:
        """Yield what images decode to, in order; at most `batch_size` images are decoded ahead."""
        n_threads = max(n_threads, count_workers(self.n_jobs))
        pool = ThreadPoolExecutor(n_threads, thread_name_prefix="skembed")
        ahead: deque[Future] = deque()
        try:
            for image in images:
                ahead.append(pool.submit(_attempt, decode, image))
                if len(ahead) > self.batch_size:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _refuse_or_fill(self, out: np.ndarray, row: int, image: Any, reason: str) -> None:
        if self.on_error == "raise":
            raise ValueError(
                f"X[{row}], {describe_image(image)}, cannot be read as an image: {reason}. on_error='nan' or 'zero' "
                "keeps its row, and names it in a warning."
            )
        out[row] = ON_ERROR[self.on_error]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.input_tags.allow_nan = self.on_error != "raise"
        tags.transformer_tags.preserves_dtype = []
        return tags


def _warn_of(failed: dict[int, str], images: list[Any], on_error: str) -> None:
    named = [f"X[{row}], {describe_image(images[row])} ({why})" for row, why in list(failed.items())[:_NAMED]]
    more = f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
    warn(
        f"{len(failed)} of {len(images)} images cannot be read, and their rows are "
        f"{'NaN' if on_error == 'nan' else 'zeros'}: {'; '.join(named)}{more}."
    )
