#include "tests/lib/certs.h"

#include "tests/lib/server.h"
#include "tests/lib/test.h"
#include "util/fs.h"

void test_make_certificates(const char *dir)
{
	static const char make[] =
		"cd \"$1\" && openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 9 -subj '/CN=authority of a test' && "
		"openssl req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.pem -days 9 -subj '/CN=another authority' && "
		"openssl req -newkey rsa:2048 -nodes -keyout key.pem -out req.pem -subj '/CN=localhost' && "
		"echo subjectAltName=DNS:localhost >ext && openssl x509 -req -in req.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 "
		"-extfile ext -out cert.pem && "
		"openssl req -newkey rsa:2048 -nodes -keyout client.key -out req.pem -subj '/O=clients/CN=me' && "
		"openssl x509 -req -in req.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -out client.crt && "
		"cat client.crt client.key >client.pem && chmod 755 . && chmod 644 *.pem";
	CLEANUP(buf_release) struct buf out = BUF_INIT;
	CLEANUP(error_release) struct error err = ERROR_INIT;

	CHECK_OK(fs_mkdirs(dir, 0755, &err), err);
	CHECK_OK(test_script((const char *const[]){"/bin/sh", "-c", make, "sh", dir, NULL}, &out, &err), err);
}
