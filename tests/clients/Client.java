// Java's clients: java Client WHAT PROXY-PORT CA PORT. Ours and okhttp3's from Debian.
import java.io.FileInputStream;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import okhttp3.CertificatePinner;
import okhttp3.MediaType;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.RequestBody;
import okhttp3.Response;

public class Client {
    static void check(boolean good, String why) {
        if (!good) throw new IllegalStateException(why);
    }

    public static void main(String[] args) throws Exception {
        InetSocketAddress proxy = new InetSocketAddress("127.0.0.1", Integer.parseInt(args[1]));
        String base = "https://origin.test:" + args[3];
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        int number = 0;
        for (String file : args[2].split(",")) {
            try (FileInputStream in = new FileInputStream(file)) {
                store.setCertificateEntry("ca" + number++, CertificateFactory.getInstance("X.509").generateCertificate(in));
            }
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext tls = SSLContext.getInstance("TLS");
        tls.init(null, trust.getTrustManagers(), null);
        if (args[0].equals("httpclient")) {
            HttpClient client = HttpClient.newBuilder().proxy(ProxySelector.of(proxy)).sslContext(tls).build();
            HttpResponse<String> got = client.send(HttpRequest.newBuilder(URI.create(base + "/data.json")).build(),
                HttpResponse.BodyHandlers.ofString());
            check(got.body().contains("\"ok\":true") && got.version() == HttpClient.Version.HTTP_2, "GET " + got);
            HttpResponse<String> posted = client.send(HttpRequest.newBuilder(URI.create(base + "/post"))
                .POST(HttpRequest.BodyPublishers.ofString("x".repeat(200000))).build(), HttpResponse.BodyHandlers.ofString());
            check(posted.body().startsWith("POST 200000 "), posted.body());
        } else {
            OkHttpClient.Builder builder = new OkHttpClient.Builder().proxy(new Proxy(Proxy.Type.HTTP, proxy))
                .sslSocketFactory(tls.getSocketFactory(), (X509TrustManager) trust.getTrustManagers()[0]);
            if (args[0].equals("okhttp-pinned")) {
                // The pin of the origin's own key: args[4].
                builder.certificatePinner(new CertificatePinner.Builder().add("origin.test", "sha256/" + args[4]).build());
            }
            OkHttpClient client = builder.build();
            try (Response got = client.newCall(new Request.Builder().url(base + "/data.json").build()).execute()) {
                check(got.code() == 200, "GET " + got);
                System.out.println(got.protocol() + " " + ((java.security.cert.X509Certificate) got.handshake().peerCertificates().get(0)).getIssuerX500Principal());
            }
            RequestBody body = RequestBody.create(MediaType.parse("text/plain"), "x".repeat(200000));
            try (Response posted = client.newCall(new Request.Builder().url(base + "/post").post(body).build()).execute()) {
                check(posted.body().string().startsWith("POST 200000 "), "POST");
            }
            client.connectionPool().evictAll();
            client.dispatcher().executorService().shutdown();
        }
        System.out.println("fine");
    }
}
