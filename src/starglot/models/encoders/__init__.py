"""Encoders of spectra that are pre-trained without labels."""
