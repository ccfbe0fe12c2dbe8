"""Device drivers and the codecs of their wire protocols."""
