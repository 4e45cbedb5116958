"""The data plane: where ESP is done. One interface; userspace (rust/esp) and null now, the kernel's XFRM to come."""
