"""Finished results: where they came from, whether they are today's, what is published of them."""
