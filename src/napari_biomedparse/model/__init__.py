"""The network as the paper draws it; imports torch and the tokenizer, nothing of images on disk."""
