// Node's clients: node client.cjs WHAT PROXY CA PORT (NODE_PATH says where the modules are).
const fs = require('fs');
const [what, proxy, ca, port] = process.argv.slice(2);
const cert = fs.readFileSync(ca);
const base = `https://origin.test:${port}`;
const check = (good, why) => { if (!good) { console.error(why); process.exit(1); } };

async function undici() {
  const { ProxyAgent, request } = require('undici');
  const dispatcher = new ProxyAgent({ uri: proxy, requestTls: { ca: cert } });
  const got = await request(`${base}/data.json`, { dispatcher });
  check((await got.body.json()).ok === true, 'GET');
  const posted = await request(`${base}/post`, { dispatcher, method: 'POST', body: 'x'.repeat(200000) });
  check((await posted.body.text()).startsWith('POST 200000 '), 'POST');
  await dispatcher.close();
}

function ws() {
  const WebSocket = require('ws');
  const { HttpsProxyAgent } = require('https-proxy-agent');
  return new Promise((done, failed) => {
    const socket = new WebSocket(`wss://origin.test:${port}/`, { agent: new HttpsProxyAgent(proxy, { ca: cert }), ca: cert });
    const text = 'compress me '.repeat(5000);
    socket.on('open', () => socket.send(text));
    socket.on('message', message => { check(message.toString() === text, 'echo'); socket.close(); });
    socket.on('close', done);
    socket.on('error', failed);
  });
}

({ undici, ws })[what]().then(() => { console.log('fine'); process.exit(0); }, error => { console.error(error); process.exit(1); });
