"""Joint training on (image, mask, words) triples."""
