#!/usr/bin/env bash
# Java: it runs, and TLS trusts what it should and nothing else.
. "$(dirname "$0")/lib.sh"

authority
tls_server 8443

cat >"$BOOT/tls/Handshake.java" <<'JAVA'
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

public class Handshake {
    public static void main(String[] args) throws Exception {
        var answer = HttpClient.newHttpClient().send(
            HttpRequest.newBuilder(URI.create(args[0])).build(), HttpResponse.BodyHandlers.discarding());
        System.out.println("status " + answer.statusCode());
    }
}
JAVA

container version base-java -- java -version
finishes version
container store base-java -- sh -c 'keytool -list -cacerts -storepass "" 2>/dev/null | grep -c trustedCertEntry'
finishes store
[ "$(tail -n 1 "$BOOT/store/log")" -gt 100 ]
prove "$(grep -m 1 version "$BOOT/version/log"), $(tail -n 1 "$BOOT/store/log") authorities"

container strange base-java --mount "$BOOT/tls:/mnt" -- java /mnt/Handshake.java https://localhost:8443/
if finishes strange; then fail "Java trusts an unknown authority"; fi
grep -q 'unable to find valid certification path' "$BOOT/strange/log"
container trusted base-java --mount "$BOOT/tls:/mnt" SHUDL_CA_FILE=/mnt/ca.crt -- java /mnt/Handshake.java https://localhost:8443/
finishes trusted
grep -qx 'status 200' "$BOOT/trusted/log"
prove "Java refuses an unknown authority and accepts it with SHUDL_CA_FILE"
