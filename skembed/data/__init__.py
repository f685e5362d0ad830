"""Containers of any kind read as ids, numbers and documents: the one package that knows them."""
