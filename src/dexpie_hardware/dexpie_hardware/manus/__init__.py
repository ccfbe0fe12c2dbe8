"""The data gloves: sources that hear them, what is accepted, and the ranges of a user."""
