/** The worker: exposes the lab. */
import * as Comlink from 'comlink';
import { createEngine, openEngine } from './create-engine.ts';
import { workerHost } from './host.ts';
import { Lab } from './lab.ts';

Comlink.expose(new Lab(createEngine, openEngine, workerHost()));
