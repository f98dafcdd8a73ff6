/** Serves the built site of dist/ on the port given, for the browser tests. */
import { preview } from 'vite';

const port = Number(process.argv[2] ?? 4173);
await preview({ preview: { port, strictPort: true, host: '127.0.0.1' } });
