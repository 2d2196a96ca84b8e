"""What a gateway tells about itself."""
