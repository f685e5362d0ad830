"""Characters of words as ELMo reads them: the bytes of UTF-8 between a begin and an end, padded to one length.

Ids 0 to 255 are bytes; then follow the begin and the end of a sentence, which are words of their own, the begin and the
end of a word, and what pads it. AllenNLP and bilm-tf count them from 1 on, 0 being no token at all; here they are rows
of ``char_embed`` as the file holds it.
"""

from collections.abc import Sequence

import numpy as np

__all__ = ["BEGIN", "END", "N_CHARACTERS", "PADDING", "character_ids"]

_BEGIN_SENTENCE, _END_SENTENCE, _BEGIN_WORD, _END_WORD, PADDING = range(256, 261)
N_CHARACTERS = 261
# The words that stand before and after each sentence; tokens that are written so are the same, as in AllenNLP.
BEGIN, END = "<S>", "</S>"
_MARKS = {BEGIN: _BEGIN_SENTENCE, END: _END_SENTENCE}


def character_ids(words: Sequence[str], max_characters: int) -> np.ndarray:
    """Return the characters of words.

    Parameters
    ----------
    words : sequence of str
    max_characters : int
        Of a word, with its begin and its end; bytes behind are left out.

    Returns
    -------
    ndarray of shape (n_words, max_characters), int16

    Examples
    --------
    >>> character_ids(["hi", "</S>"], 6)
    array([[258, 104, 105, 259, 260, 260],
           [258, 257, 259, 260, 260, 260]], dtype=int16)
    """
    ids = np.full((len(words), max_characters), PADDING, dtype=np.int16)
    for row, word in zip(ids, words):
        mark = _MARKS.get(word)
        body = word.encode("utf-8", "ignore")[: max_characters - 2] if mark is None else (mark,)
        row[0], row[1 + len(body)] = _BEGIN_WORD, _END_WORD
        row[1 : 1 + len(body)] = list(body)
    return ids
