//! What was removed after it was seen: dots and the context of those that were seen, the base of all that forgets.
