"""Who uses an image, by what files and live systems say: pure data, and the readers that find it in text."""
