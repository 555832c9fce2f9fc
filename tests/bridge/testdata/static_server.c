/* A legacy stdio MCP server that needs nothing of its image: answers every request by its id, and says what it inherited. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv, char **environment) {
    static char line[1 << 16];
    for (char **each = environment; *each; each++)
        fprintf(stderr, "inherited %s\n", *each);
    while (fgets(line, sizeof line, stdin)) {
        char *id = strstr(line, "\"id\":");
        if (!id)
            continue;
        long number = strtol(id + 5, NULL, 10);
        if (strstr(line, "\"server/discover\""))
            printf("{\"jsonrpc\":\"2.0\",\"id\":%ld,\"error\":{\"code\":-32601,\"message\":\"no\"}}\n", number);
        else if (strstr(line, "\"initialize\""))
            printf("{\"jsonrpc\":\"2.0\",\"id\":%ld,\"result\":{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{\"tools\":{}},"
                   "\"serverInfo\":{\"name\":\"static\",\"version\":\"%d\"}}}\n", number, argc);
        else
            printf("{\"jsonrpc\":\"2.0\",\"id\":%ld,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"1\"}]}}\n", number);
        fflush(stdout);
    }
    return 0;
}
