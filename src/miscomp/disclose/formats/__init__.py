"""How each file format holds EXIF, XMP and IPTC; nothing here decodes a pixel."""
