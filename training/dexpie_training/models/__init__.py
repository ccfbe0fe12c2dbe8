"""Networks: observation encoders, embeddings and the conditional 1D U-Net."""
