// The official TypeScript SDK, once through everything: typescript_2.mjs URL TOKEN legacy|auto; prints what it saw as JSON.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const [url, token, mode] = process.argv.slice(-3);
const client = new Client({ name: "wire", version: "1" }, { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode } });
client.setRequestHandler("elicitation/create", async () => ({
  action: "accept",
  content: { username: "Ann", email: "ann@example.com" },
}));
const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { Authorization: `Bearer ${token}` } } });
await client.connect(transport);
const revision = client.getNegotiatedProtocolVersion();
const { tools } = await client.listTools();
const called = await client.callTool({ name: "t__test_simple_text", arguments: {} });
const asked = await client.callTool({ name: "t__test_elicitation", arguments: { message: "Who?" } });
const { prompts } = await client.listPrompts();
const prompt = await client.getPrompt({ name: "t__test_prompt_with_arguments", arguments: { arg1: "a", arg2: "b" } });
const { resources } = await client.listResources();
const read = await client.readResource({ uri: "test://static-text" });
await client.close();
console.log(
  JSON.stringify({
    revision,
    tools: tools.map((one) => one.name),
    called: called.content[0].text,
    asked: asked.content[0].text,
    prompts: prompts.map((one) => one.name),
    prompt: prompt.messages[0].content.text,
    resources: resources.map((one) => one.uri),
    read: read.contents[0].text,
  }),
);
