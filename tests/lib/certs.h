/* Certificates for tests of TLS. */
#ifndef TESTS_CERTS_H
#define TESTS_CERTS_H

/* In a folder that is made: ca.pem (of an authority), cert.pem and key.pem (of a server: for localhost, not for 127.0.0.1), other.pem (of another
 * authority), client.pem (certificate and key of a client, "CN=me,O=clients"). Fails the test where it fails. */
void test_make_certificates(const char *dir);

#endif
