"""From images and masks as they are published to (image, mask, words) triples in the BiomedParseData layout."""
