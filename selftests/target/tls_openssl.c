// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel TLS as servers have it: OpenSSL shakes hands and gives the keys to the
 * kernel, and the peer is an OpenSSL that knows nothing of kernel TLS.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	441U
#define SIZE	(MIB + 1)
#define TINY	4096		/* of a socket buffer: no record goes in whole */

struct client {
	pthread_t thread;
	SSL *ssl;
	struct cursor cursor;
	bool told;		/* the server said that it is done */
};

FIXTURE(openssl)
{
	struct watch watch;
	struct file file;
	struct part parts[12];		/* what the client is to get */
	struct pair pair;
	struct client client;
	SSL_CTX *contexts[2];
	SSL *server;
	int device;
};

FIXTURE_VARIANT(openssl)
{
	int version;
	const char *cipher;
	enum transport transport;
};

#define ROW(name, is_version, is_cipher, over)				\
	FIXTURE_VARIANT_ADD(openssl, name)				\
	{								\
		.version = is_version, .cipher = is_cipher,		\
		.transport = over,					\
	}

ROW(v12_128, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", TCP4);
ROW(v12_256, TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384", TCP6);
ROW(v13_128, TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", TCP4);
ROW(v13_256, TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", TCP4);
ROW(v12_256_wire, TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384", WIRE4);
ROW(v13_128_wire, TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", WIRE6);

/* Ends the test with what OpenSSL says unless the call gave 1. */
#define must(call) do {							\
	if ((call) != 1)						\
		die("%s: %s", #call,					\
		    ERR_error_string(ERR_peek_last_error(), NULL));	\
} while (0)

static void identify(SSL_CTX *context)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();

	if (!key || !certificate ||
	    !X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) ||
	    !X509_gmtime_adj(X509_getm_notAfter(certificate), 3600))
		die("a certificate");
	must(X509_set_pubkey(certificate, key));
	must(X509_sign(certificate, key, EVP_sha256()) > 0);
	must(SSL_CTX_use_certificate(context, certificate));
	must(SSL_CTX_use_PrivateKey(context, key));
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static SSL_CTX *context_of(const FIXTURE_VARIANT(openssl) *variant,
			   const SSL_METHOD *method)
{
	SSL_CTX *context = SSL_CTX_new(method);

	if (!context)
		die("SSL_CTX_new");
	must(SSL_CTX_set_min_proto_version(context, variant->version));
	must(SSL_CTX_set_max_proto_version(context, variant->version));
	if (variant->version == TLS1_3_VERSION)
		must(SSL_CTX_set_ciphersuites(context, variant->cipher));
	else
		must(SSL_CTX_set_cipher_list(context, variant->cipher));
	return context;
}

static SSL *session_of(SSL_CTX *context, int fd)
{
	SSL *ssl = SSL_new(context);

	if (!ssl)
		die("SSL_new");
	must(SSL_set_fd(ssl, fd));
	return ssl;
}

/* Shakes hands, and compares all that comes. */
static void *be_client(void *argument)
{
	struct client *client = argument;
	char bytes[20000];
	int n;

	must(SSL_connect(client->ssl));
	while ((n = SSL_read(client->ssl, bytes, sizeof(bytes))) > 0)
		cursor_compare(&client->cursor, bytes, n);
	client->told = SSL_get_error(client->ssl, n) == SSL_ERROR_ZERO_RETURN;
	return NULL;
}

FIXTURE_SETUP(openssl)
{
	ASSERT_EQ(0, run("modprobe tls"));
	self->contexts[0] = context_of(variant, TLS_server_method());
	self->contexts[1] = context_of(variant, TLS_client_method());
	SSL_CTX_set_options(self->contexts[0], SSL_OP_ENABLE_KTLS);
	identify(self->contexts[0]);
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, XFS, SIZE, SEED);
}

/* Connected when this returns; the client gets nr parts in all. */
static void begin(struct __test_metadata *_metadata,
		  FIXTURE_DATA(openssl) *self,
		  const FIXTURE_VARIANT(openssl) *variant, int buffer,
		  size_t nr)
{
	struct client *client = &self->client;

	pair_open(&self->pair, variant->transport, buffer);
	self->server = session_of(self->contexts[0], self->pair.tx);
	client->ssl = session_of(self->contexts[1], self->pair.rx);
	client->cursor = (struct cursor){ .parts = self->parts, .nr = nr };
	errno = pthread_create(&client->thread, NULL, be_client, client);
	if (errno)
		die("start a client");
	must(SSL_accept(self->server));
	/* Or else nothing below is about kernel TLS. */
	ASSERT_EQ(1, BIO_get_ktls_send(SSL_get_wbio(self->server)));
}

/* The server takes its leave, or does not, and at once closes the socket. */
static void end(struct __test_metadata *_metadata, FIXTURE_DATA(openssl) *self,
		bool leave)
{
	struct client *client = &self->client;

	if (leave)
		EXPECT_LE(0, SSL_shutdown(self->server));
	SSL_free(self->server);
	close(self->pair.tx);
	pthread_join(client->thread, NULL);
	EXPECT_EQ(leave, client->told);
	EXPECT_STREQ("", cursor_verdict(&client->cursor,
					parts_total(self->parts,
						    client->cursor.nr)));
	SSL_free(client->ssl);
	close(self->pair.rx);
}

FIXTURE_TEARDOWN(openssl)
{
	EXPECT_TRUE(await_active(0));
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	close(self->device);
	SSL_CTX_free(self->contexts[0]);
	SSL_CTX_free(self->contexts[1]);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* Header, file and trailer through each door, between what OpenSSL writes. */
TEST_F(openssl, arrives)
{
	struct zcopy_completion completion;
	struct zcopy_transfer transfer;
	size_t nr = 0;
	enum door door;

	for (door = SEND; door < DOORS; door++) {
		self->parts[nr++] = of_memory(door, 100);
		self->parts[nr++] = of_memory(0, 300);
		self->parts[nr++] = of_file(&self->file, 4095 + door, 0);
		self->parts[nr++] = of_memory(300, 20);
	}
	begin(_metadata, self, variant, 0, nr);
	for (door = SEND; door < DOORS; door++) {
		const struct part *parts = &self->parts[4 * door];

		ASSERT_EQ(100, SSL_write(self->server, memory(door, 100), 100));
		transfer = transfer_of(self->pair.tx, &parts[1], 3, door);
		ASSERT_EQ(0, fly(door, self->device, &transfer, &completion));
		EXPECT_EQ(parts_total(&parts[1], 3), completion.bytes);
		EXPECT_EQ(0, completion.error);
		EXPECT_EQ(0, completion.flags);
	}
	end(_metadata, self, true);
}

/*
 * Who has all its completions may close the connection. Any word of OpenSSL's
 * would wait until what is before it is out.
 */
TEST_F(openssl, closed_when_complete)
{
	struct zcopy_transfer transfers[3];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(transfers); i++) {
		self->parts[2 * i] = of_memory(i, 200);
		self->parts[2 * i + 1] = of_file(&self->file, i, 100 * KIB);
	}
	begin(_metadata, self, variant, TINY, 2 * ARRAY_SIZE(transfers));
	for (i = 0; i < ARRAY_SIZE(transfers); i++)
		transfers[i] = transfer_of(self->pair.tx, &self->parts[2 * i],
					   2, i);
	submit_all(self->device, ALL_OF(transfers));
	for (i = 0; i < ARRAY_SIZE(transfers); i++)
		EXPECT_STREQ("", completes(self->device, i, 200 + 100 * KIB, 0,
					   0));
	end(_metadata, self, false);
}

TEST_HARNESS_MAIN
