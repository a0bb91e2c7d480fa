"""The ladder of networks: a small graph, its arithmetic in numpy, training, export to ONNX. Used by scripts/ladder.py."""
