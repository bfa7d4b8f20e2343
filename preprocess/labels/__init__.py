"""Label files of any form -> annotated images."""
