/**
 * The layers: imports point only downwards. The face reaches the engine through worker/protocol.ts, types only.
 * Tests may import from anywhere and are left out.
 */
const LAYERS = ['wasm', 'cpu', 'xen', 'vmi', 'machine', 'inspect', 'worker', 'store', 'ui'];

const upwards = LAYERS.flatMap((layer, i) => {
  const above = [...LAYERS.slice(i + 1), 'cli'];
  return {
    name: `${layer}-imports-downwards`,
    severity: 'error',
    from: { path: `^src/${layer}/` },
    // The protocol is the contract, types only: whoever makes a view may name its type.
    to: { path: `^src/(${above.join('|')})/`, pathNot: '^src/worker/protocol\\.ts$' },
  };
});

module.exports = {
  forbidden: [
    ...upwards,
    {
      name: 'base-imports-nothing',
      severity: 'error',
      from: { path: '^src/base/' },
      to: { path: '^src/', pathNot: '^src/base/' },
    },
    {
      name: 'format-imports-base-only',
      comment:
        'Value to text. What the texts of the ABI are called is a fact without behaviour, so xen/abi is allowed.',
      severity: 'error',
      from: { path: '^src/format/' },
      to: { path: '^src/', pathNot: '^src/(base|format|xen/abi)/' },
    },
    {
      name: 'wasm-imports-base-only',
      severity: 'error',
      from: { path: '^src/wasm/' },
      to: { path: '^src/', pathNot: '^src/(base|wasm)/' },
    },
    {
      name: 'face-reaches-the-engine-by-protocol',
      severity: 'error',
      from: { path: '^src/ui/' },
      to: { path: '^src/', pathNot: '^src/(ui|store|base|format)/|^src/worker/protocol\\.ts$' },
    },
    {
      name: 'store-reaches-the-engine-by-the-client',
      severity: 'error',
      from: { path: '^src/store/' },
      to: { path: '^src/', pathNot: '^src/(store|base|format)/|^src/worker/(protocol|client)\\.ts$' },
    },
    {
      name: 'protocol-is-types-only',
      severity: 'error',
      from: { path: '^src/worker/protocol\\.ts$' },
      to: { path: '^src/', pathNot: '^src/base/' },
    },
    {
      name: 'engine-needs-no-package',
      comment: 'The engine is self-contained; fflate unpacks images and saved labs.',
      severity: 'error',
      from: { path: '^src/(base|format|wasm|cpu|xen|vmi|machine|inspect)/' },
      to: { dependencyTypes: ['npm', 'npm-dev', 'core'], pathNot: 'node_modules/fflate/' },
    },
    {
      name: 'no-cycles',
      comment: 'Types that name each other are no cycle: they are gone at run time.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'resolves',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '\\?(worker|url)' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '\\.test\\.tsx?$|/testing/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.app.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default'],
    },
  },
};
