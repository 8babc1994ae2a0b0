/** containerd's limit for one gRPC message, in bytes, both ways. */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
