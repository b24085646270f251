"""Methods: which parameters of a loaded model are trained, one file each."""
