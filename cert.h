/* wshub: ISC licence, see LICENSE. */
/* A certificate chain and its private key: what cert.c makes for tls.c. */
#ifndef CERT_H
#define CERT_H

#include <bearssl.h>

#include "ws.h"

/*
 * BearSSL 0.6's key decoder has a wrong size for its last member, key_data, and
 * writes beyond it if the key has more than 4,096 bits. This is the room that
 * it needs there.
 */
#define KEY_SLACK (3 * (BR_X509_BUFSIZE_KEY - BR_X509_BUFSIZE_SIG))

struct ws_cert {
	br_skey_decoder_context key; /* contains the key's numbers */
	unsigned char slack[KEY_SLACK]; /* directly after key */
	int explicit; /* the key has explicit curve parameters */
	br_x509_certificate *chain; /* leaf first */
	size_t nchain;
	unsigned char *der; /* the certificates, one after the other */
	size_t nder;
};

/*
 * Decodes a chain and a key from PEM texts, and checks that the key belongs to
 * the first certificate. Returns 0 with "" or a warning about its dates in
 * error, or -1 with an error message. *c must be all zeros before, and has to
 * be freed in either case.
 */
int ws_cert_load(struct ws_cert *c, struct ws_text chain, struct ws_text key,
    char error[WS_ERROR_MAX]);

/* Wipes the key and frees what *c has, which is then all zeros. */
void ws_cert_free(struct ws_cert *c);

#endif
