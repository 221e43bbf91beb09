/* Files on a removable medium: a package (the body) and beside it the certificate for one device. Blocking: pool threads. What is read here
 * is hostile until checked.
 *
 *   NAME.hearth              "HEARTHP1" || length:4 || msg.ExportPackage || the body file's bytes
 *   NAME.hearth-certificate  "HEARTHC1" || length:4 || msg.ExportCertificate
 *
 * A medium that fails is no reason to stop: unlike everywhere else a failed sync is an outcome here. Source: seed S151, S152, S161. */
#ifndef DAEMON_MEDIUM_H
#define DAEMON_MEDIUM_H

#include "daemon/opener.h"
#include "messages.pb.h"
#include "net/bodies.h"

#define MEDIUM_PATH_BYTES 1280
#define MEDIUM_STEP_BYTES (16u << 20) /* moved by one pool job */
#define MEDIUM_PACKAGE ".hearth"
#define MEDIUM_CERTIFICATE ".hearth-certificate"

/* Writing a package, step by step. Zero it first (fds -1: medium_writer_init). */
struct medium_writer {
    struct opener *opener; /* borrowed */
    int from, to;          /* -1: not open */
    char path[MEDIUM_PATH_BYTES], part[MEDIUM_PATH_BYTES + 8];
    uint64_t done_bytes, total_bytes;
};
void medium_writer_init(struct medium_writer *w, struct opener *o);
void medium_writer_deinit(struct medium_writer *w); /* closes; an unfinished package is removed */
/* body: path of the body file. 0; -EUCLEAN: that one cannot be read; -ENOSPC, -errno: the medium. */
int medium_write_begin(struct medium_writer *w, const char *path, const char *body, const struct id *content) MUST_USE;
int medium_write_step(struct medium_writer *w) MUST_USE; /* until done_bytes == total_bytes */
int medium_write_end(struct medium_writer *w) MUST_USE;  /* durable under its name when 0 */
int medium_write_certificate(struct opener *o, const char *path, const msg_ExportCertificate *certificate) MUST_USE;
/* Whether a file can be made in the directory: one is, and goes again. 0, -ENOSPC, -errno. */
int medium_look(struct opener *o, const char *directory) MUST_USE;
/* What is said of a directory where a file could not be written: the reason, and words for a person that name it. */
enum reason medium_why(int error, const char *directory, char *detail, size_t cap);

/* A file of a medium; no link is followed out of it. *fd is the caller's. 0; REASON_MALFORMED: it is no file of ours; -errno. */
int medium_open(struct opener *o, const char *path, int *fd) MUST_USE;
/* 0, REASON_MALFORMED, -errno. */
int medium_read_certificate(int fd, msg_ExportCertificate *out) MUST_USE;
/* A package: where its body begins, and everything before the blocks, checked. 0, REASON_*, -errno. */
int medium_read_package(int fd, uint64_t *base, struct id *content, struct serve_file *file) MUST_USE;

#endif
