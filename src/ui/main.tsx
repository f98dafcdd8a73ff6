/** Starts the page: the look first, then the worker, then React. */
import '@xterm/xterm/css/xterm.css';
import './theme/fonts.css';
import './theme/tokens.css';
import './theme/base.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { actions, addressBar, labStore } from '../store/lab.ts';
import { App } from './app.tsx';

document.documentElement.dataset['theme'] = labStore.getState().layout.theme;
actions.start();
addressBar.start();
createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
